-- A million images in 100,000 runs of 500 rules, and a million tags: for benchmarks, in an empty history.
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499)
    INSERT INTO rules (id, name) SELECT i, printf('rule-%03d', i) FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
    INSERT INTO repositories (id, name) SELECT i, printf('registry.example.com/team/app-%04d', i) FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
    INSERT INTO runs SELECT i * 1000, i % 500, 'schedule', 'sync', NULL, 1,
        iif(i % 50 = 0, 'failed', 'succeeded'), i, i, i, i, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, NULL,
        iif(i = 99999, 100000, 9), 0
    FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)
    INSERT INTO images SELECT iif(i < 900000, i / 9, 99999) * 1000, iif(i < 900000, i % 9, i), i % 10000, ':v1',
        (i + 1) % 10000, ':v1', iif(i % 100 = 0, 'failed', 'copied'), randomblob(32), NULL, 1000, NULL,
        iif(i % 100 = 0, 99999, NULL), NULL, NULL, 10
    FROM n;
INSERT INTO failures VALUES (99999, 99999000, 'destination', 'server-error', 'registry.example.com', 'wait', 9);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)
    INSERT INTO tags SELECT i, i / 100, printf(':v%d', i % 100), (i / 100) % 500, i / 100,
        printf(':v%d', i % 100), iif(i % 10 = 0, 'moved', 'same'), i, randomblob(32), randomblob(32), i, 0, 1
    FROM n;
