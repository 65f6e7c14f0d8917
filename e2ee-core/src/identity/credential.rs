//! The chain inside an MLS X.509 credential (RFC 9420 section 5.3): `Certificate certificates<V>`, leaf first, where
//! `Certificate` is `opaque cert_data<V>`.

use tls_codec::{DeserializeBytes, Serialize, VLBytes};

use super::{CertificateError, MAX_INTERMEDIATES};

/// The content of a credential, without the outer length, which MLS adds.
pub fn encode_chain<C: AsRef<[u8]>>(chain: &[C]) -> Result<Vec<u8>, CertificateError> {
    let mut out = Vec::new();
    for certificate in chain {
        VLBytes::new(certificate.as_ref().to_vec())
            .tls_serialize(&mut out)
            .map_err(|_| CertificateError::Malformed("chain too long to encode"))?;
    }
    Ok(out)
}

/// The certificates in a credential's content, leaf first. More than the profile allows are refused unread.
pub fn decode_chain(mut content: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut chain = Vec::new();
    while !content.is_empty() {
        if chain.len() > MAX_INTERMEDIATES {
            return Err(CertificateError::ChainTooLong);
        }
        let (certificate, rest) = VLBytes::tls_deserialize_bytes(content)
            .map_err(|_| CertificateError::Malformed("credential is no list of certificates"))?;
        chain.push(certificate.into());
        content = rest;
    }
    if chain.is_empty() {
        return Err(CertificateError::ChainEmpty);
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iden_9_chains_round_trip_and_broken_ones_are_refused() {
        let chain = vec![vec![1; 300], vec![2; 5]];
        let bytes = encode_chain(&chain).unwrap();
        assert_eq!(decode_chain(&bytes).unwrap(), chain);
        assert!(matches!(
            decode_chain(&bytes[..bytes.len() - 1]),
            Err(CertificateError::Malformed(_))
        ));
        assert_eq!(decode_chain(&[]), Err(CertificateError::ChainEmpty));
        let four = encode_chain(&vec![vec![0; 4]; 4]).unwrap();
        assert_eq!(decode_chain(&four), Err(CertificateError::ChainTooLong));
    }
}
