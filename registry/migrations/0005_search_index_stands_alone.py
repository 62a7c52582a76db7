"""
The search index of PostgreSQL no longer refers to the patterns.

As on SQLite, it is a table beside the models: what it holds of patterns that
are gone is found by nobody, and emptying the database needs no order.
"""

from django.db import migrations

DROP = "ALTER TABLE registry_pattern_fts DROP CONSTRAINT IF EXISTS registry_pattern_fts_pattern_id_fkey"


def stand_alone(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DROP)


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_ordered_json")]

    operations = [migrations.RunPython(stand_alone, migrations.RunPython.noop)]
