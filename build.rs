//! Writes `gort.h` from `src/ffi`, and tells the linker the shared library's name.
//!
//! The one thing to know: `include/gort.h` is a product that is committed. It is generated into `OUT_DIR` and
//! copied over the committed one only when they differ, so that packaging, which must not see its sources
//! change, does not. A tree that cannot be written to is worth a warning, no more.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

#[path = "src/ffi/status_list.rs"]
mod status_list;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("gort.h");
    let inputs = ["build.rs", "cbindgen.toml", "Cargo.toml", "src/ffi"].map(|input| root.join(input));
    let committed = root.join("include/gort.h");
    for path in inputs.iter().chain([&committed]) {
        println!("cargo:rerun-if-changed={}", path.display());
    }

    let header = header(&root);
    fs::write(&out, &header).unwrap();
    if fs::read_to_string(&committed).ok().as_deref() != Some(&header)
        && let Err(error) = replace(&committed, &header, newest(&inputs))
    {
        println!("cargo:warning={} is out of date and cannot be written: {error}", committed.display());
    }

    // Programs are linked to a name that changes when the ABI does.
    let major = env!("CARGO_PKG_VERSION_MAJOR");
    match env::var("CARGO_CFG_TARGET_OS").unwrap().as_str() {
        "macos" => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libgort.{major}.dylib"),
        _ => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgort.so.{major}");
            // Workers sleep in the library's code: a dlclose must leave it mapped.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
    }
}

/// Write the header, no younger than what it was made from: a younger file would make cargo, which watches it
/// for edits by hand, run this program once more.
fn replace(path: &Path, header: &str, time: SystemTime) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().unwrap())?;
    fs::write(path, header)?;
    fs::File::options().append(true).open(path)?.set_modified(time)
}

fn newest(inputs: &[PathBuf]) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    for input in inputs {
        let entries = fs::read_dir(input).into_iter().flatten().map(|entry| entry.unwrap().path());
        for path in entries.chain([input.clone()]) {
            newest = newest.max(fs::metadata(path).and_then(|m| m.modified()).unwrap());
        }
    }
    newest
}

fn header(root: &Path) -> String {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let opening = config.header.take().unwrap();
    let guard = config.include_guard.take().unwrap();

    let mut h = String::new();
    let _ = write!(
        h,
        "{}\n\n#ifndef {guard}\n#define {guard}\n\n\
         #include <errno.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n",
        opening.trim()
    );
    constants(&mut h);
    let ffi = root.join("src/ffi");
    for section in sections(&fs::read_to_string(ffi.join("mod.rs")).unwrap()) {
        let body = declarations(&ffi.join(format!("{}.rs", section.module)), &config);
        if !body.is_empty() {
            heading(&mut h, &section.heading);
            h.push_str(&body);
            end_section(&mut h);
        }
    }
    system_statuses(&mut h);
    let _ = write!(h, "\n#ifdef __cplusplus\n}} /* extern \"C\" */\n#endif\n\n#endif /* {guard} */\n");
    h
}

/// Begin a section: a rule for those who read the header, a group for Doxygen.
fn heading(h: &mut String, text: &str) {
    let _ = write!(h, "\n/* {} */\n/** @name {text}\n *  @{{ */\n\n", "-".repeat(106));
}

fn end_section(h: &mut String) {
    h.push_str("\n/** @} */\n");
}

/// Version macros, the status codes that gort itself returns and `GORT_FOREVER`: what every section uses.
fn constants(h: &mut String) {
    heading(h, "Version of this header");
    for (name, value) in [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        let _ = writeln!(h, "#define GORT_VERSION_{name} {value} /**< of this header */");
    }
    h.push_str(
        "/** major << 16 | minor << 8 | patch; gort_version() is that of the loaded library. */\n\
         #define GORT_VERSION_NUM \\\n    \
         ((GORT_VERSION_MAJOR << 16) | (GORT_VERSION_MINOR << 8) | GORT_VERSION_PATCH)\n",
    );
    end_section(h);

    heading(h, "Status codes (the end of this file lists those that only come from the system)");
    macro_rules! defines {
        (own { $($own:ident $value:literal $own_text:literal;)* }
         common { $($common:ident $common_text:literal;)* } $($rest:tt)*) => {
            $(define(h, stringify!($own), stringify!($value), $own_text);)*
            $(define(h, stringify!($common), concat!("-", stringify!($common)), $common_text);)*
        };
    }
    status_list::status_list!(defines);
    end_section(h);

    heading(h, "Time");
    h.push_str("/** As a deadline: never. As a duration: for ever. */\n#define GORT_FOREVER INT64_MAX\n");
    // Not constants of Rust, which would become ints that overflow in 5 * GORT_SECOND.
    for (name, value, text) in [
        ("MICROSECOND", "1000", "a duration, in nanoseconds: 5 * GORT_MICROSECOND"),
        ("MILLISECOND", "1000000", "a duration, in nanoseconds"),
        ("SECOND", "1000000000", "a duration, in nanoseconds"),
        ("MINUTE", "60000000000", "a duration, in nanoseconds"),
    ] {
        let value = format!("INT64_C({value})");
        let _ = writeln!(h, "#define GORT_{name:<11} {value:<22} /**< {text} */");
    }
    end_section(h);
}

/// The status codes that gort passes on.
fn system_statuses(h: &mut String) {
    heading(h, "Status codes from the system");
    macro_rules! defines {
        (own { $($own:tt)* } common { $($common:tt)* }
         system { $($system:ident $system_text:literal;)* }
         linux { $($linux:ident $linux_text:literal;)* }) => {
            $(define(h, stringify!($system), concat!("-", stringify!($system)), $system_text);)*
            h.push_str("#ifdef __linux__\n");
            $(define(h, stringify!($linux), concat!("-", stringify!($linux)), $linux_text);)*
            h.push_str("#endif\n");
        };
    }
    status_list::status_list!(defines);
    end_section(h);
}

fn define(h: &mut String, name: &str, value: &str, text: &str) {
    // A literal's minus sign may come with a space behind it.
    let value = value.replace(' ', "");
    let value = if value.starts_with('-') { format!("({value})") } else { value };
    let _ = writeln!(h, "#define GORT_{name:<15} {value:<18} /**< {text} */");
}

struct Section {
    module: String,
    heading: String,
}

/// The modules that `mod.rs` declares, in its order, each under the doc comment that stands above it.
fn sections(mod_rs: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut doc = String::new();
    for line in mod_rs.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if doc.is_empty() {
                doc = text.trim().trim_end_matches('.').to_owned();
            }
        } else if let Some(declaration) = line.strip_suffix(';') {
            if let Some((visibility, module)) = declaration.rsplit_once("mod ")
                && (visibility.is_empty() || visibility.starts_with("pub"))
            {
                let heading = if doc.is_empty() { module.to_owned() } else { doc.clone() };
                sections.push(Section { module: module.to_owned(), heading });
            }
            doc.clear();
        }
    }
    sections
}

/// What one file exports, in C; empty if that is nothing.
fn declarations(file: &Path, config: &cbindgen::Config) -> String {
    let bindings = cbindgen::Builder::new()
        .with_src(file)
        .with_config(config.clone())
        .generate()
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = without_safety(&String::from_utf8(text).unwrap());
    let text = with_initialisers(&without_tags(&text));
    if text.trim().is_empty() { String::new() } else { format!("{}\n", text.trim()) }
}

/// Leaves out the `# Safety` sections: they speak to Rust programmers. To the end of the comment, or to its
/// next `#` heading.
fn without_safety(text: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in text.lines() {
        let comment = line.trim();
        if comment == "* # Safety" {
            skipping = true;
            while kept.ends_with(" *\n") {
                kept.truncate(kept.len() - 3);
                kept.truncate(kept.trim_end_matches(' ').len());
            }
        } else if skipping && (comment.ends_with("*/") || comment.starts_with("* # ")) {
            skipping = false;
            if !comment.ends_with("*/") {
                kept.push_str(" *\n");
            }
        }
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Writes `gort_chan_t *` for cbindgen's `struct gort_chan_t *`, the same wherever the type is declared.
fn without_tags(text: &str) -> String {
    let mut result = String::new();
    for line in text.lines() {
        let plain = line.replace("struct gort_", "gort_");
        result.push_str(if line.starts_with("typedef struct ") { line } else { &plain });
        result.push('\n');
    }
    result
}

/// Puts behind each struct that begins with `size_t size` the macro that sets all its fields. For `gort_x_t`
/// it is `GORT_X_INIT`. Every field is named by the struct itself, so none can be forgotten.
fn with_initialisers(text: &str) -> String {
    let mut result = String::new();
    // The values for the fields of the struct that is being read, once its first field is known to be `size`.
    let mut values: Option<Vec<&str>> = None;
    let mut first = false;
    let mut in_comment = false;
    for line in text.lines() {
        result.push_str(line);
        result.push('\n');
        let code = line.trim();
        if code.starts_with("/*") || in_comment {
            in_comment = !code.ends_with("*/");
        } else if code.starts_with("typedef struct ") && code.ends_with('{') {
            (values, first) = (None, true);
        } else if let Some(name) = code.strip_prefix("} ").and_then(|rest| rest.strip_suffix(';')) {
            if let Some(values) = values.take() {
                let short = name.trim_start_matches("gort_").trim_end_matches("_t").to_uppercase();
                let _ = write!(
                    result,
                    "\n/** All fields of a {name} at their defaults. */\n\
                     #define GORT_{short}_INIT {{ sizeof({name}), {} }}\n",
                    values.join(", ")
                );
            }
            first = false;
        } else if first {
            values = (code == "size_t size;").then(Vec::new);
            first = false;
        } else if let (Some(values), true) = (&mut values, code.ends_with(';')) {
            assert!(!code.contains('['), "{code}: no initialiser for an array in a struct with a size");
            values.push(if code.contains('*') || code.contains("_fn_t ") {
                "NULL"
            } else if code.starts_with("bool ") {
                "false"
            } else {
                "0"
            });
        }
    }
    result
}
