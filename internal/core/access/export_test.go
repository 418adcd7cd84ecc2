package access

// Lookups returns how often the database was asked for a key.
func (a *APIKeys) Lookups() int64 { return a.cache.lookups.Load() }

// MaxUses is how many rows a key's uses may take.
const MaxUses = maxUses
