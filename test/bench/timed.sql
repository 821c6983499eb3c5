-- Runs one file, and says how many seconds that took, the SQLSTATE it ended with, and how
-- many bytes the backend has allocated since.
--
-- schema: whose users; measured: the file

SET search_path = :schema;
SELECT sum(total_bytes) AS memory FROM pg_backend_memory_contexts \gset
SELECT clock_timestamp() AS began \gset
\ir :measured
\set state :SQLSTATE
SELECT clock_timestamp() AS ended \gset
SELECT extract(epoch FROM :'ended'::timestamptz - :'began'), :'state', sum(total_bytes) - :memory
FROM pg_backend_memory_contexts;
