-- What a contract's dashboards read beside the schema `delegate`, where the kinds' views are: its devices with what
-- queries of dashboards ask of them. The views of the schema `grafana` have the same names, so that one query serves
-- the city and a contract (store/contract_logins.py says who may read this one, and in what order names are looked up).

CREATE SCHEMA delegate_grafana;

CREATE VIEW delegate_grafana.device WITH (security_barrier) AS
SELECT s.device_no, s.commune, s.kind, s.id, s.type, s.parent_no, s.gateway_no, s.label, s.street, d.attributes,
       s.commissioned_at, d.first_seen_at
FROM delegate.device s JOIN public.device d ON d.device_no = s.device_no;
