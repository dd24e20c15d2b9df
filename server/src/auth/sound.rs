//! Checks that only the owner of a public key can sign for it.
//!
//! A signature is only as good as its key: for some points and exponents, anyone can create a valid one. Libraries
//! check some of this when they verify a signature, and none of it when they parse a key.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{EllipticCurveKeyParameters, OctetKeyPairParameters, RSAKeyParameters};

/// 2048 bits.
const MIN_RSA_MODULUS_BYTES: usize = 256;
/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE_BYTES: usize = 32;

/// The y coordinates of the points of small order of Ed25519, including encodings that are not canonical, little-endian
/// and without the sign of x: see `ge25519_has_small_order` of <https://github.com/jedisct1/libsodium>. With such a
/// key, a signature that was made without a private key is valid for every message, or for every eighth.
const SMALL_ORDER: [[u8; COORDINATE_BYTES]; 7] = [
    // 0, of order 4
    [0; COORDINATE_BYTES],
    // 1, of order 1
    little_endian(1),
    // of order 8
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    // of order 8
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    // p - 1, of order 2
    near_prime(0xec),
    // p, which equals 0
    near_prime(0xed),
    // p + 1, which equals 1
    near_prime(0xee),
];

const fn little_endian(low: u8) -> [u8; COORDINATE_BYTES] {
    let mut bytes = [0; COORDINATE_BYTES];
    bytes[0] = low;
    bytes
}

/// Returns a number that differs from 2^255 - 19 only in its lowest byte.
const fn near_prime(low: u8) -> [u8; COORDINATE_BYTES] {
    let mut bytes = [0xff; COORDINATE_BYTES];
    bytes[0] = low;
    bytes[COORDINATE_BYTES - 1] = 0x7f;
    bytes
}

/// Checks an RSA key: with exponent 1, every message is its own signature.
pub(super) fn rsa(key: &RSAKeyParameters) -> Result<(), &'static str> {
    let number = |text: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(bytes[zeros..].to_vec())
    };
    let (Some(n), Some(e)) = (number(&key.n), number(&key.e)) else { return Err("it is not an RSA key") };
    if n.len() < MIN_RSA_MODULUS_BYTES || (n.len() == MIN_RSA_MODULUS_BYTES && n[0] & 0x80 == 0) {
        return Err("an RSA key needs 2048 bits");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > 8 {
        return Err("its RSA modulus or exponent is not one that a key has");
    }
    Ok(())
}

/// Checks that a point is on the curve P-256.
pub(super) fn p256(key: &EllipticCurveKeyParameters) -> Result<(), &'static str> {
    const PROBLEM: &str = "it is not a point on the curve P-256";
    let coordinate =
        |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == COORDINATE_BYTES);
    let (Some(x), Some(y)) = (coordinate(&key.x), coordinate(&key.y)) else { return Err(PROBLEM) };
    let uncompressed = [&[4][..], &x, &y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed).map(drop).map_err(|_| PROBLEM)
}

/// Checks that a point is not of small order.
pub(super) fn ed25519(key: &OctetKeyPairParameters) -> Result<(), &'static str> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&key.x).ok();
    let Some(mut point) = bytes.and_then(|bytes| <[u8; COORDINATE_BYTES]>::try_from(bytes).ok()) else {
        return Err("it is not a key of Ed25519");
    };
    // The highest bit is the sign of x, which does not affect the order.
    point[COORDINATE_BYTES - 1] &= 0x7f;
    if SMALL_ORDER.contains(&point) { Err("it is a point of small order, for which anybody can sign") } else { Ok(()) }
}
