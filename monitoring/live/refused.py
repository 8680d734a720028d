"""Why the broker cannot be used, in words that say what to do; without address or password, for /healthz shows them."""

import ssl

import redis
from django.conf import settings


def why(error: Exception) -> str:
    text = str(error)
    if isinstance(error, redis.AuthenticationError) or "WRONGPASS" in text or "NOAUTH" in text:
        return "the broker refuses the password: compare the one in REDIS_URL with the broker's own (requirepass)"
    if mistrusted(error):
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0].rstrip(".")
        return (
            f"the broker's certificate is not trusted ({reason or 'its name or its issuer is another one'}): name the "
            "certificate of who issued it, REDIS_URL=rediss://…?ssl_ca_certs=/path/ca.pem, and use the name or address "
            "that the certificate is for"
        )
    if settings.REDIS_URL.startswith("rediss:") and ("WRONG_VERSION_NUMBER" in text or timed_out(error)):
        return "the broker does not answer, or does not speak TLS at this port (redis:// is the way without)"
    return "the broker does not answer"


def timed_out(error: Exception) -> bool:
    return isinstance(error, TimeoutError | redis.TimeoutError)


def mistrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
