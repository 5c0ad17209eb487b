"""What a run keeps between its stages: in its folder, in the vault, in the target's own tables."""
