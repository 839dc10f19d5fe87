CREATE TABLE onwards (topic STRING, device STRING, speed BIGINT) WITH ('topic.column' = 'topic', 'qos' = '0');
CREATE VIEW fast AS SELECT device, speed FROM pumps WHERE speed > 1000;
INSERT INTO onwards (device, speed, topic) SELECT device, speed, 'fast/' || device FROM fast
