-- The instances are a table, and the users refer to it.  Nothing limits their number.

CREATE TABLE foreign_key.instance (id uuid PRIMARY KEY);
INSERT INTO foreign_key.instance SELECT id FROM instance_env.instance;

ALTER TABLE foreign_key.users ADD FOREIGN KEY (instance_id) REFERENCES foreign_key.instance;
