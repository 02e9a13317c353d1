//! Builds libgort.so from the repository's root crate and puts it, with the headers, into the package; compiles
//! the C shim; links the module with the library.
//!
//! The one thing to know: the module finds the library beside itself, in `lib/` (rpath `$ORIGIN/lib`), under the
//! name that programs are linked to, `libgort.so.0`: C code that is linked with `gort.get_library()` then shares
//! the runtime. The library is built in the target directory `GORT_TARGET_DIR` (make's own, so that it is built once),
//! by default in `libgort` below this crate's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const MAJOR: &str = env!("CARGO_PKG_VERSION_MAJOR");

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = here.join("../..").canonicalize().unwrap();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let package = here.join("python/gort");
    for input in ["build.rs", "src/shim.c", "src/trash.c"].map(|path| here.join(path)) {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    for input in ["src", "build.rs", "Cargo.toml", "bindings/c", "bindings/cpp"].map(|path| root.join(path)) {
        println!("cargo:rerun-if-changed={}", input.display());
    }

    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_extension_module_link_args();

    // OUT_DIR is <target>/<profile>/build/<package>/out; with a target triple there is one level more, which
    // only makes the directory another one. It must not be the one in which cargo is at work here.
    println!("cargo:rerun-if-env-changed=GORT_TARGET_DIR");
    let own = || out.ancestors().nth(4).unwrap().join("libgort");
    let target = env::var_os("GORT_TARGET_DIR").map_or_else(own, PathBuf::from);
    let library = build_library(&root, &target);
    copy(&library, &package.join("lib").join(format!("libgort.so.{MAJOR}")));
    copy(&library, &out.join("libgort.so"));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=dylib=gort");
    println!("cargo:rustc-link-arg-cdylib=-Wl,-rpath,$ORIGIN/lib");
    headers(&root, &package.join("include"));

    cc::Build::new()
        .file(here.join("src/shim.c"))
        .file(here.join("src/trash.c"))
        .include(python_include())
        .flag("-std=gnu11")
        // For the guards in it.
        .flag("-fexceptions")
        .flag_if_supported("-Wno-unused-parameter")
        .warnings(true)
        .compile("gort_python_shim");
}

/// `cargo build --release --lib` of the root crate. What this build has been told about itself must not leak into
/// it; what the user has asked of all builds (`CARGO_PROFILE_*`, `RUSTFLAGS`) may.
fn build_library(root: &Path, target: &Path) -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap());
    cargo.args(["build", "--release", "--lib", "--package", "gort", "--manifest-path"]);
    cargo.arg(root.join("Cargo.toml")).arg("--target-dir").arg(target).current_dir(root);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_MANIFEST_", "CARGO_ENCODED_", "DEP_", "PYO3_"];
        if ours.iter().any(|prefix| text.starts_with(prefix))
            || ["OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"]
                .contains(&&*text)
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().unwrap_or_else(|error| panic!("cannot run cargo for libgort: {error}"));
    assert!(status.success(), "building libgort failed: {status}");
    target.join("release/libgort.so")
}

fn headers(root: &Path, to: &Path) {
    copy(&root.join("include/gort.h"), &to.join("gort.h"));
    for (folder, below) in [("bindings/c", ""), ("bindings/cpp", ""), ("bindings/cpp/gort", "gort")] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "h" || extension == "hpp") {
                copy(&path, &to.join(below).join(path.file_name().unwrap()));
            }
        }
    }
}

/// Copy what differs, in one step: a program that runs from the old file must not see half of the new one.
fn copy(from: &Path, to: &Path) {
    let new = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    if fs::read(to).ok().as_ref() == Some(&new) {
        return;
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let draft = to.with_extension(format!("{}.new", std::process::id()));
    fs::write(&draft, new).unwrap();
    fs::rename(&draft, to).unwrap();
}

/// Where Python.h is.
fn python_include() -> PathBuf {
    let config = pyo3_build_config::get();
    let python = config.executable().expect("no Python interpreter was found; set PYO3_PYTHON");
    let output = Command::new(python)
        .args(["-c", "import sysconfig; print(sysconfig.get_path('include'))"])
        .output()
        .unwrap_or_else(|error| panic!("{python}: {error}"));
    assert!(output.status.success(), "{python} does not tell where its headers are");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
