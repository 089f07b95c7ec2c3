-- SPDX-License-Identifier: GPL-2.0 OR MIT
--
-- A database in memory: inserts with indexes, updates, joins, sorting, deletes.

CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER, name TEXT, price REAL);
CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT, note TEXT);
CREATE INDEX item_owner ON item (owner);
CREATE INDEX item_name ON item (name);
BEGIN;
INSERT INTO owner
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
	SELECT i, 'owner ' || (i * 7919 % 5000), printf('%.*c', i % 400, 'x') FROM n;
INSERT INTO item
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 240000)
	SELECT i, i * 7919 % 5000, 'item ' || (i * 104729 % 240000), i % 997 / 7.0 FROM n;
COMMIT;
SELECT count(*), sum(length(note)) FROM owner;
SELECT o.name, count(*), round(sum(i.price), 3) FROM item i JOIN owner o ON o.id = i.owner
	GROUP BY o.name ORDER BY 3 DESC, 1 LIMIT 20;
UPDATE item SET name = name || ' (' || owner || ')' WHERE id % 3 = 0;
DELETE FROM item WHERE id % 5 = 0;
SELECT count(DISTINCT name), max(length(name)) FROM item;
SELECT length(group_concat(name, ';')) FROM (SELECT name FROM item ORDER BY price, name);
SELECT name FROM item WHERE name LIKE '%777%' ORDER BY name DESC LIMIT 10;
