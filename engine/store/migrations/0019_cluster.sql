-- Where attempts run, once there is more than one machine.

ALTER TABLE attempts ADD COLUMN node TEXT;      -- NULL: on the engine's own machine

-- One row: how many engines have spoken to the nodes of this home. A node hears none that came before another.
CREATE TABLE epochs (
    epoch INTEGER NOT NULL
) STRICT;

INSERT INTO epochs (epoch) VALUES (0);
