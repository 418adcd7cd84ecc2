package gatehouse_test

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-dev/gatehouse"
)

// A program that runs the house itself.
func Example() {
	config := gatehouse.DefaultConfig()
	config.Issuer = "https://login.example.com/"
	config.Database.URL = gatehouse.NewSecret("sqlite:/var/lib/gatehouse/gatehouse.db")
	config.MasterKeys = []gatehouse.Secret{gatehouse.NewSecret(os.Getenv("MASTER_KEY"))} // openssl rand -base64 32
	config.Mail.Host, config.Mail.From = "mail.example.com", "login@example.com"

	house, err := gatehouse.Open(context.Background(), config, slog.Default())
	if err != nil {
		log.Fatal(err)
	}
	defer house.Close()
	server := &http.Server{Addr: ":443", Handler: house, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second}
	log.Print(server.ListenAndServeTLS("cert.pem", "key.pem"))
}
