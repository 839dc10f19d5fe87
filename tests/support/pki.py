"""Certificates made as docs/transports.md says: with the openssl command."""

import subprocess
from pathlib import Path

from tests.support.mqtt import needs

CA_CONFIG = """
[ca]
default_ca = fleet
[fleet]
dir = {directory}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
default_md = sha256
default_days = 365
default_crl_days = 30
policy = anything
unique_subject = no
copy_extensions = copy
[anything]
commonName = supplied
"""


class Pki:
    """A fleet's authority in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._openssl = needs("openssl")
        directory.mkdir()
        (directory / "ca.cnf").write_text(CA_CONFIG.format(directory=directory))
        (directory / "index.txt").touch()
        (directory / "serial").write_text("1000\n")
        (directory / "crlnumber").write_text("01\n")
        self._run(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"),
            *("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=fleet authority"),
        )
        self.issue("server", "gateway")
        self.write_revocations()

    def __getitem__(self, name: str) -> str:
        """The path of a file, as text."""
        return str(self.directory / name)

    def issue(self, name: str, common_name: str) -> None:
        """Writes NAME.pem and NAME.key, both replaced at once as far as files can be."""
        self._run(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key.new", "-out", f"{name}.csr", "-subj", f"/CN={common_name}"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )
        self._ca("-batch", "-notext", "-in", f"{name}.csr", "-out", f"{name}.pem.new")
        (self.directory / f"{name}.key.new").chmod(0o600)
        for kind in ("key", "pem"):
            (self.directory / f"{name}.{kind}.new").replace(self.directory / f"{name}.{kind}")

    def revoke(self, name: str) -> None:
        """Revokes a certificate and writes the list."""
        self._ca("-revoke", f"{name}.pem")
        self.write_revocations()

    def write_revocations(self) -> None:
        """Writes crl.pem."""
        self._ca("-gencrl", "-out", "crl.pem")

    def _ca(self, *words: str) -> None:
        self._run("ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", *words)

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [self._openssl, *words], cwd=self.directory, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"openssl {' '.join(words)}:\n{done.stderr}"
