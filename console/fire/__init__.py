"""The fire drill: real faults in a real engine with stand-ins for agents, and a card of how it came through each."""
