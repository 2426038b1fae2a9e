-- Beside the ledger's own: the database of Prefect's server.
CREATE DATABASE prefect;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
