"""One file per dataset; each class satisfies `lion.data.source.Source`."""
