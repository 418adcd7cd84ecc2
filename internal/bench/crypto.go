package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"runtime"
	"strings"
	"sync"
	"time"
)

// measureCrypto returns how often per second all cores together do each bare call, hash included.
func measureCrypto(o options) map[string]float64 {
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // cannot fail with a working source of randomness
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	message := make([]byte, 700)
	digest := sha256.Sum256(message)
	ecSignature, _ := ecdsa.SignASN1(rand.Reader, ecKey, digest[:])
	rsaSignature, _ := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, digest[:])
	calls := map[string]func(digest []byte){
		signES256:   func(d []byte) { ecdsa.SignASN1(rand.Reader, ecKey, d) },
		signRS256:   func(d []byte) { rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, d) },
		verifyES256: func(d []byte) { ecdsa.VerifyASN1(&ecKey.PublicKey, d, ecSignature) },
		verifyRS256: func(d []byte) { rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, d, rsaSignature) },
	}
	rates := map[string]float64{}
	for name, call := range calls {
		rates[name] = onAllCores(o.measure/5, func() {
			d := sha256.Sum256(message)
			call(d[:])
		})
	}
	return rates
}

func onAllCores(length time.Duration, f func()) float64 {
	counts := make([]int, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	began := time.Now()
	for i := range counts {
		all.Go(func() {
			n := 0
			for time.Since(began) < length {
				f()
				n++
			}
			counts[i] = n
		})
	}
	all.Wait()
	elapsed, total := time.Since(began), 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / elapsed.Seconds()
}

// cryptoRate returns how often per second all of an operation's calls could be done.
func cryptoRate(rates map[string]float64, calls string) float64 {
	if calls == "" {
		return 0
	}
	cost := 0.0
	for call := range strings.SplitSeq(calls, " + ") {
		cost += 1 / rates[call]
	}
	return 1 / cost
}
