"""What the phantom format draws: patients, their skin, and the devices that see it."""
