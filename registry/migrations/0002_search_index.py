"""
The full-text index of patterns: an FTS5 table on SQLite, a tsvector column on PostgreSQL.

Neither is a Django model; ``registry.discovery.index`` is the only reader and writer.
"""

from django.db import migrations

SQLITE = (
    "CREATE VIRTUAL TABLE registry_pattern_fts USING fts5("
    "name, title, tags, body, tokenize = \"porter unicode61 remove_diacritics 2\", prefix = '2 3')",
)
SQLITE_REVERSE = ("DROP TABLE registry_pattern_fts",)
POSTGRES = (
    "CREATE TABLE registry_pattern_fts (pattern_id bigint PRIMARY KEY "
    "REFERENCES registry_pattern (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, "
    "names tsvector NOT NULL, words tsvector NOT NULL)",
    "CREATE INDEX registry_pattern_fts_names ON registry_pattern_fts USING gin (names)",
    "CREATE INDEX registry_pattern_fts_words ON registry_pattern_fts USING gin (words)",
)
POSTGRES_REVERSE = ("DROP TABLE registry_pattern_fts",)


def run(statements):
    def execute(apps, schema_editor):
        vendor = schema_editor.connection.vendor
        for statement in statements[vendor]:
            schema_editor.execute(statement)

    return execute


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]

    operations = [
        migrations.RunPython(
            run({"sqlite": SQLITE, "postgresql": POSTGRES}),
            run({"sqlite": SQLITE_REVERSE, "postgresql": POSTGRES_REVERSE}),
        ),
    ]
