"""What all tests share: fixtures are modules of tests/fixtures, one line each."""

pytest_plugins: list[str] = [
    "fixtures.browser",
    "fixtures.libvirt",
    "fixtures.log",
    "fixtures.packages",
    "fixtures.postgres",
    "fixtures.up",
    "fixtures.vsphere",
    "fixtures.web",
]
