// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.
#ifndef MARTLET_SIGNATURES_SHIM_H
#define MARTLET_SIGNATURES_SHIM_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

// A public key out of its DER (SubjectPublicKeyInfo), all bytes of it; NULL when it is none.
static inline EVP_PKEY *martlet_public_key(const unsigned char *der, long count) {
    const unsigned char *cursor = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &cursor, count);
    ERR_clear_error();
    if (key != NULL && cursor != der + count) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

// 1 when the signature is the key's over the message. bits: 256, 384, 512, or 0 for EdDSA;
// is_pss: RSA-PSS with a salt as long as the digest.
static inline int martlet_verifies(
    EVP_PKEY *key, int bits, int is_pss, const unsigned char *signature, size_t signature_count,
    const unsigned char *message, size_t message_count) {
    const EVP_MD *digest = NULL;
    if (bits == 256) digest = EVP_sha256();
    if (bits == 384) digest = EVP_sha384();
    if (bits == 512) digest = EVP_sha512();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return 0;
    EVP_PKEY_CTX *parameters = NULL;
    int good = EVP_DigestVerifyInit(context, &parameters, digest, NULL, key) == 1;
    if (good && is_pss) {
        good = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
            && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
            && EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, digest) == 1;
    }
    if (good) {
        good = EVP_DigestVerify(
                   context, signature, signature_count, message, message_count) == 1;
    }
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

static inline size_t martlet_add_name(
    char *out, size_t used, size_t capacity, const char *kind, const unsigned char *text,
    int count) {
    size_t prefix = strlen(kind);
    if (count <= 0 || used + prefix + (size_t)count + 1 > capacity) return used;
    // A name with a line end or a zero in it could pass for another.
    for (int index = 0; index < count; index++) {
        if (text[index] < 0x20) return used;
    }
    memcpy(out + used, kind, prefix);
    memcpy(out + used + prefix, text, (size_t)count);
    out[used + prefix + (size_t)count] = '\n';
    return used + prefix + (size_t)count + 1;
}

// A certificate's names, a line each: CN=x, DNS:x, URI:x, email:x. The count of bytes.
static inline size_t martlet_certificate_names(
    const unsigned char *der, long count, char *out, size_t capacity) {
    const unsigned char *cursor = der;
    X509 *certificate = d2i_X509(NULL, &cursor, count);
    size_t used = 0;
    if (certificate != NULL) {
        X509_NAME *subject = X509_get_subject_name(certificate);
        int place = -1;
        while ((place = X509_NAME_get_index_by_NID(subject, NID_commonName, place)) >= 0) {
            ASN1_STRING *data =
                X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place));
            unsigned char *text = NULL;
            int length = ASN1_STRING_to_UTF8(&text, data);
            used = martlet_add_name(out, used, capacity, "CN=", text, length);
            OPENSSL_free(text);
        }
        GENERAL_NAMES *names =
            X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        int total = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
        for (int index = 0; index < total && index < 256; index++) {
            GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
            const char *kind = name->type == GEN_DNS ? "DNS:"
                : name->type == GEN_URI              ? "URI:"
                : name->type == GEN_EMAIL            ? "email:"
                                                     : NULL;
            if (kind == NULL) continue;
            used = martlet_add_name(
                out, used, capacity, kind, ASN1_STRING_get0_data(name->d.ia5),
                ASN1_STRING_length(name->d.ia5));
        }
        GENERAL_NAMES_free(names);
        X509_free(certificate);
    }
    ERR_clear_error();
    return used;
}

#endif
