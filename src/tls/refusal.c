/* Why a TLS connection did not come about. */
#include "tls/refusal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/clock.h"
#include "base/stream.h"

static bool is_client(const struct refusal *self) {
    return self->host != NULL;
}

/* ---- by this end ---- */

static int other_ca(const struct refusal *self, const struct certificate *theirs,
                    struct opiml_error *err) {
    return opiml_fail(err, OPIML_EACCES,
                      "%s: its certificate (%s, made by %s) is not by the CA of %s: have that CA "
                      "make one with `opiml pki issue`, or give the other CA's with --tls-ca",
                      self->name, theirs->subject, theirs->issuer, self->ca);
}

int refusal_of_certificate(const struct refusal *self, X509_STORE_CTX *context,
                           struct opiml_error *err) {
    const X509 *x509 = X509_STORE_CTX_get_current_cert(context);
    int code = X509_STORE_CTX_get_error(context);
    struct certificate theirs = {0};

    if (x509)
        certificate_describe(x509, &theirs);
    switch (code) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        if (certificate_check_time(&theirs, (int64_t)(clock_wall_ns() / 1000000000), self->name,
                                   err) < 0)
            return OPIML_EACCES;
        break; /* within the second */
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return other_ca(self, &theirs, err);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return opiml_fail(err, OPIML_EACCES,
                          "%s: its certificate is for %s, not for %s: connect by a name that it "
                          "has, or make one with `opiml pki issue --name %s`",
                          self->name, theirs.names[0] ? theirs.names : "no name", self->host,
                          self->host);
    case X509_V_ERR_INVALID_PURPOSE:
        return opiml_fail(err, OPIML_EACCES,
                          "%s: its certificate (%s) is not for %s: make one with `opiml pki issue "
                          "%s`",
                          self->name, theirs.subject, is_client(self) ? "servers" : "clients",
                          is_client(self) ? "--server" : "--client");
    default: break;
    }
    return opiml_fail(err, OPIML_EACCES, "%s: its certificate (%s) is refused: %s", self->name,
                      theirs.subject, X509_verify_cert_error_string(code));
}

/* ---- by the other end ---- */

/* The alerts that say what it has against this end's certificate. */
static const struct {
    int reason;
    const char *why;
} alerts[] = {
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it does not know that CA: its --tls-ca is another one's"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "by its clock it has expired (or the CA's has): set "
                                            "the clock that is wrong, or make a new one "
                                            "with `opiml pki issue`"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
     "by its clock it may not be valid yet, or the CA's may not; its log says more"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
     "it is not for this end's part: `opiml pki issue` makes them for --client, --server or both"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "its log says more"},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR,
     "another CA of the same name has made it, as it looks: its --tls-ca is another one's"},
};

static int fail_alert(const struct refusal *self, const char *why, struct opiml_error *err) {
    char from[CERTIFICATE_TIME], until[CERTIFICATE_TIME];

    return opiml_fail(err, OPIML_EACCES,
                      "%s refuses this end's certificate (%s, made by %s, valid from %s until %s): "
                      "%s",
                      self->name, self->own->subject, self->own->issuer,
                      certificate_time(from, self->own->from_s),
                      certificate_time(until, self->own->until_s), why);
}

static int fail_reason(const struct refusal *self, int reason, struct opiml_error *err) {
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return opiml_fail(err, OPIML_EACCES,
                          "%s: it gives no certificate: clients need --tls-cert and --tls-key",
                          self->name);
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return opiml_fail(err, OPIML_EACCES,
                          "%s wants a certificate of this end: give --tls-cert and --tls-key",
                          self->name);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return opiml_fail(
            err, OPIML_EIO,
            "%s does not speak TLS: start it with --tls-cert, --tls-key and --tls-ca, "
            "or leave them (and OPIML_TLS_CERT and so on) away here",
            self->name);
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
        return opiml_fail(err, OPIML_EIO, "%s does not speak TLS 1.3, and nothing older is taken",
                          self->name);
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return opiml_fail(err, OPIML_EIO,
                          "%s speaks TLS and something else in it: is that the right port?",
                          self->name);
    default: return 0;
    }
}

int refusal_of_handshake(const struct refusal *self, struct opiml_error *err) {
    unsigned long code = ERR_peek_error();
    const char *text = ERR_reason_error_string(code);
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0, rc;

    ERR_clear_error();
    for (size_t i = 0; i < COUNT_OF(alerts); i++)
        if (reason == alerts[i].reason)
            return fail_alert(self, alerts[i].why, err);
    if ((rc = fail_reason(self, reason, err)) < 0)
        return rc;
    if (code != 0 && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return opiml_fail(err, OPIML_EIO, "%s: TLS: %s", self->name, text ? text : "unknown error");
    if (self->greeting && is_client(self))
        return opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE "; perhaps it does not speak TLS",
                          self->name);
    return opiml_fail(err, OPIML_EIO, "%s: " STREAM_GONE, self->name);
}
