"""Cohorts, keys, job events, workers and answers; more of jobs, audits and versions."""

import sqlalchemy as sa
from alembic import op

from service.migrations.append_only import keep, release

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT, WHEN, OBJECT = sa.String(), sa.DateTime(), sa.JSON()


def upgrade() -> None:
    """Add the tables and columns."""
    with op.batch_alter_table("jobs") as jobs:
        for name in ("who", "digest", "traceparent"):
            jobs.add_column(sa.Column(name, TEXT, nullable=False, server_default=""))
        jobs.add_column(sa.Column("parent", TEXT, nullable=True))
        jobs.add_column(sa.Column("webhook", TEXT, nullable=True))
        jobs.add_column(
            sa.Column("cancelling", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.add_column("audits", sa.Column("model", sa.Integer(), nullable=True))
    op.add_column("audits", sa.Column("against", TEXT, nullable=True))
    op.add_column("model_versions", sa.Column("deleted", WHEN, nullable=True))
    op.add_column("alias_events", sa.Column("undoes", sa.Integer(), nullable=True))
    op.add_column("alias_events", sa.Column("request", TEXT, nullable=True))
    op.create_index(op.f("ix_alias_events_request"), "alias_events", ["request"], unique=True)
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("created", WHEN, nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_job_events_job_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_job_events_job"), "job_events", ["job"])
    keep("job_events", "job events")
    op.create_table(
        "cohorts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("schema", OBJECT, nullable=False),
        sa.Column("directory", TEXT, nullable=True),
        sa.Column("source", TEXT, nullable=True),
        sa.Column("report", OBJECT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("job", TEXT, nullable=False),
        sa.Column("created", WHEN, nullable=False),
        sa.Column("deleted", WHEN, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohorts")),
    )
    op.create_index(op.f("ix_cohorts_name"), "cohorts", ["name"])
    op.create_table(
        "held_out_patients",
        sa.Column("cohort", TEXT, nullable=False),
        sa.Column("patient", TEXT, nullable=False),
        sa.Column("job", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("cohort", "patient", name=op.f("pk_held_out_patients")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("scopes", OBJECT, nullable=False),
        sa.Column("created", WHEN, nullable=False),
        sa.Column("expires", WHEN, nullable=True),
        sa.Column("revoked", WHEN, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "answers",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", OBJECT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("created", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_created"), "answers", ["created"])
    op.create_table(
        "workers",
        sa.Column("executor", TEXT, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("started", WHEN, nullable=False),
        sa.Column("heartbeat", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("executor", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    """Remove them with all they hold."""
    for table in ("workers", "answers", "api_keys", "held_out_patients", "cohorts"):
        op.drop_table(table)
    release("job_events")
    op.drop_table("job_events")
    op.drop_index(op.f("ix_alias_events_request"), "alias_events")
    op.drop_column("alias_events", "request")
    op.drop_column("alias_events", "undoes")
    op.drop_column("model_versions", "deleted")
    op.drop_column("audits", "against")
    op.drop_column("audits", "model")
    with op.batch_alter_table("jobs") as jobs:
        for name in ("cancelling", "webhook", "parent", "traceparent", "digest", "who"):
            jobs.drop_column(name)
