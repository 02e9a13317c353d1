//! What could be a pointer in a piece of memory.
//!
//! The one thing to know: any 8 bytes, aligned or not; in aligned words the upper 16 bits do not matter, so that tagged
//! pointers count.

/// The kernel gives no addresses of more bits unless it is asked to, by name.
pub(super) const ADDRESS_BITS: u32 = if cfg!(target_arch = "x86_64") { 47 } else { 48 };

/// Call `f` with the offset and value of everything in `piece` that could be a pointer: of any 8 bytes that begin
/// before the last 7.
pub(super) fn each_value(piece: &[u8], mut f: impl FnMut(usize, usize)) {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        let end = (at + 8).min(piece.len());
        bytes[..end - at].copy_from_slice(&piece[at..end]);
        usize::from_le_bytes(bytes)
    };
    let (mut at, end) = (0, piece.len() - 7);
    let mut this = word(0);
    while at < end {
        let next = if at + 16 <= piece.len() {
            // The usual case, without a look at the length of what is copied.
            usize::from_le_bytes([
                piece[at + 8],
                piece[at + 9],
                piece[at + 10],
                piece[at + 11],
                piece[at + 12],
                piece[at + 13],
                piece[at + 14],
                piece[at + 15],
            ])
        } else if at + 8 < piece.len() {
            word(at + 8)
        } else {
            0
        };
        values(this, next, |i, value| f(at + i, value));
        this = next;
        at += 8;
    }
}

/// Call `f` with what could be pointers that begin in the word `this`, which `next` follows.
#[inline(always)]
pub(super) fn values(this: usize, next: usize, mut f: impl FnMut(usize, usize)) {
    if this | next == 0 {
        return;
    }
    // As it is, or with whatever its upper 16 bits mean.
    f(0, this & ((1 << 48) - 1));
    for i in 1..8 {
        let value = this >> (8 * i) | next << (64 - 8 * i);
        if value >> ADDRESS_BITS == 0 {
            f(i, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_found_at_every_offset_and_under_a_tag() {
        for offset in 0..24 {
            let mut bytes = vec![0u8; 40 + 7];
            bytes[offset..offset + 8].copy_from_slice(&0x7f12_3456_789au64.to_le_bytes());
            let mut found = Vec::new();
            each_value(&bytes, |at, value| found.extend((value == 0x7f12_3456_789a).then_some(at)));
            assert_eq!(found, [offset]);
        }
        let mut found = false;
        let tagged = 0xfff9_7f12_3456_789au64.to_le_bytes();
        each_value(&[&tagged[..], &[0; 7]].concat(), |_, value| found |= value == 0x7f12_3456_789a);
        assert!(found);
    }
}
