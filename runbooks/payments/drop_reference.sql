-- Takes the references of payments that were made meanwhile along; the payments stay.
ALTER TABLE transfers DROP COLUMN IF EXISTS reference;
