-- What a restore does to a reader.

ALTER TABLE reader
    ADD COLUMN told_before bigint NOT NULL DEFAULT 0;   -- messages below were dealt with before a restore: they page nobody
