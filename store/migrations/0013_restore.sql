-- What a restore, and `beffroi log adopt`, do to a reader. After an adoption the accounts add up again:
-- next_offset = messages + messages_skipped.

ALTER TABLE reader
    ADD COLUMN messages_skipped bigint NOT NULL DEFAULT 0, -- offsets passed without reading; below 0: read a second time
    ADD COLUMN told_before bigint NOT NULL DEFAULT 0;      -- messages below were dealt with before a restore: they page nobody

UPDATE reader SET messages_skipped = next_offset - messages WHERE next_offset <> messages;
