"""Work that outlives its worker: queues, workflows, retraining."""
