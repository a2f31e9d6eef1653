"""Guardian as the client of an SFU: WHIP and WHEP endpoints, Janus VideoRooms."""
