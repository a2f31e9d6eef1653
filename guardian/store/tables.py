"""All tables of the store: what revisions are compared with."""

from guardian.store import case_tables, evidence_tables, fleet_tables, people_tables
from guardian.store.schema import metadata

__all__ = ["case_tables", "evidence_tables", "fleet_tables", "metadata", "people_tables"]
