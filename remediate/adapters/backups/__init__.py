"""Large backups: streamed into a store, proved by a restore, and put back without losing others' writes."""
