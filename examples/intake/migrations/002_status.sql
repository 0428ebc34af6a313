ALTER TABLE patients ADD COLUMN status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'queued'));
