"""Reading a certificate signing request of a satellite: of all that it says, only the key counts.

The one promise: a key is returned only when its holder signed the request and it is strong enough; subject and
extensions are never looked at.
"""

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from metaconsole.pki import PublicKey

REQUEST_BYTES: Final = 8 * 1024
_RSA_BITS: Final = (2048, 4096)  # longer ones cost the gateway time
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class RequestError(ValueError):
    """The request is not signed for; the sentence says why."""


def key_of(request_der: bytes) -> PublicKey:
    """Return the public key of a PKCS #10 request; raises RequestError."""
    if len(request_der) > REQUEST_BYTES:
        raise RequestError(f"the signing request has more than {REQUEST_BYTES} bytes")
    try:
        request = x509.load_der_x509_csr(request_der)
        key = _strong(request.public_key())
        if not isinstance(request.signature_hash_algorithm, _HASHES):
            raise RequestError("the signing request is not signed with SHA-256 or better")
        if not request.is_signature_valid:
            raise RequestError("the signing request is not signed by the key that it names")
    except (UnsupportedAlgorithm, TypeError) as error:
        raise RequestError(f"the signing request uses what is not supported: {error}") from error
    except RequestError:
        raise
    except ValueError as error:
        raise RequestError("the signing request can't be read: it is no PKCS #10 in DER") from error
    return key


def _strong(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        return key
    raise RequestError("the key must be P-256, P-384, or RSA with 2048 to 4096 bits")
