"""Data migration with verified backups: nothing is loaded before a backup has been restored and compared.

`from migrate import api` is the public interface; the command line is a thin skin over it.
"""

__version__ = "0.1.0"
