"""Every speed benchmark, one after the other: ``make bench``."""

from benchmarks import audit_speed, train_speed

audit_speed.main()
train_speed.main()
