"""Language models: the protocol they implement, the models, how to ask them, and the store of their answers."""
