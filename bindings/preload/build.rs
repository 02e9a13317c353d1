//! Tells the linker the library's name, and that nothing may be left undefined: what is not in libc is a mistake.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgort_preload.so");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
}
