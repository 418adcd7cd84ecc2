package main

// masterkeyCommand is about the keys that seal secrets in the database.
type masterkeyCommand struct{}
