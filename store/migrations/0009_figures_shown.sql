-- The figures that a city watches, as Grafana shows them: to the city, and of a contract's kinds, communes and days.

CREATE VIEW grafana.indicator_sample AS SELECT ts, kind, indicator, commune, total, counted FROM public.indicator_sample;
GRANT SELECT ON grafana.indicator_sample TO beffroi_grafana;

CREATE VIEW delegate.indicator_sample WITH (security_barrier) AS
SELECT i.ts, i.kind, i.indicator, i.commune, i.total, i.counted
FROM public.indicator_sample i
JOIN delegate.my_contract c
    ON i.kind = ANY (c.kinds) AND i.commune = ANY (c.communes)
    AND i.ts >= c.from_ts AND i.ts + interval '15 minutes' <= c.until_ts;
GRANT SELECT ON delegate.indicator_sample TO PUBLIC;
