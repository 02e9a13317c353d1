//! Every status code of the ABI, once. What follows from the list: the Rust constants, `gort_err_name` and
//! `gort_strerror` (`status.rs`), and the `#define`s of `gort.h` (`build.rs`, which reads this same file).
//!
//! The one thing to know: an `errno` code has no number here. Its value is minus the platform's, in Rust by
//! way of `libc`, in C by way of `<errno.h>`.

/// Calls the macro `$then` with the list, in four groups: gort's own codes; errno codes that gort itself
/// returns; those that it only passes on from the system; and those among them that only Linux has. Where two
/// names share a number, the first is the name that is shown.
macro_rules! status_list {
    ($then:ident) => {
        $then! {
        own {
            OK 0 "success";
            ECLOSED -4001 "channel is closed";
            EPANIC -4002 "a panic was recovered";
            ENONAME -4003 "host name does not resolve";
        }
        common {
            EAGAIN "not ready, the call would have to wait";
            EBUSY "busy or already started";
            ECANCELED "cancelled";
            EDEADLK "all goroutines are asleep, or the call would wait for itself";
            EINVAL "invalid argument";
            ENOMEM "out of memory";
            EPERM "operation not permitted";
            ETIMEDOUT "timed out";
        }
        system {
            ENOENT "no such file or directory";
            ESRCH "no such process";
            EINTR "interrupted system call";
            EIO "input/output error";
            ENXIO "no such device or address";
            E2BIG "argument list too long";
            ENOEXEC "exec format error";
            EBADF "bad file descriptor";
            ECHILD "no child processes";
            EACCES "permission denied";
            EFAULT "bad address";
            ENOTBLK "block device required";
            EEXIST "file exists";
            EXDEV "invalid cross-device link";
            ENODEV "no such device";
            ENOTDIR "not a directory";
            EISDIR "is a directory";
            ENFILE "too many open files in system";
            EMFILE "too many open files";
            ENOTTY "inappropriate ioctl for device";
            ETXTBSY "text file busy";
            EFBIG "file too large";
            ENOSPC "no space left on device";
            ESPIPE "illegal seek";
            EROFS "read-only file system";
            EMLINK "too many links";
            EPIPE "broken pipe";
            EDOM "numerical argument out of domain";
            ERANGE "numerical result out of range";
            ENAMETOOLONG "file name too long";
            ENOLCK "no locks available";
            ENOSYS "function not implemented";
            ENOTEMPTY "directory not empty";
            ELOOP "too many levels of symbolic links";
            ENOMSG "no message of desired type";
            EIDRM "identifier removed";
            EREMOTE "object is remote";
            ENOLINK "link has been severed";
            EPROTO "protocol error";
            EMULTIHOP "multihop attempted";
            EBADMSG "bad message";
            EOVERFLOW "value too large for defined data type";
            EILSEQ "invalid multibyte sequence";
            EUSERS "too many users";
            ENOTSOCK "socket operation on non-socket";
            EDESTADDRREQ "destination address required";
            EMSGSIZE "message too long";
            EPROTOTYPE "protocol wrong type for socket";
            ENOPROTOOPT "protocol not available";
            EPROTONOSUPPORT "protocol not supported";
            ESOCKTNOSUPPORT "socket type not supported";
            ENOTSUP "operation not supported";
            EOPNOTSUPP "operation not supported on socket";
            EPFNOSUPPORT "protocol family not supported";
            EAFNOSUPPORT "address family not supported by protocol";
            EADDRINUSE "address already in use";
            EADDRNOTAVAIL "address not available";
            ENETDOWN "network is down";
            ENETUNREACH "network is unreachable";
            ENETRESET "network dropped connection on reset";
            ECONNABORTED "software caused connection abort";
            ECONNRESET "connection reset by peer";
            ENOBUFS "no buffer space available";
            EISCONN "transport endpoint is already connected";
            ENOTCONN "transport endpoint is not connected";
            ESHUTDOWN "cannot send after transport endpoint shutdown";
            ETOOMANYREFS "too many references: cannot splice";
            ECONNREFUSED "connection refused";
            EHOSTDOWN "host is down";
            EHOSTUNREACH "no route to host";
            EALREADY "operation already in progress";
            EINPROGRESS "operation now in progress";
            ESTALE "stale file handle";
            EDQUOT "disk quota exceeded";
            EOWNERDEAD "owner died";
            ENOTRECOVERABLE "state not recoverable";
        }
        linux {
            ECHRNG "channel number out of range";
            EL2NSYNC "level 2 not synchronized";
            EL3HLT "level 3 halted";
            EL3RST "level 3 reset";
            ELNRNG "link number out of range";
            EUNATCH "protocol driver not attached";
            ENOCSI "no CSI structure available";
            EL2HLT "level 2 halted";
            EBADE "invalid exchange";
            EBADR "invalid request descriptor";
            EXFULL "exchange full";
            ENOANO "no anode";
            EBADRQC "invalid request code";
            EBADSLT "invalid slot";
            EBFONT "bad font file format";
            ENOSTR "device not a stream";
            ENODATA "no data available";
            ETIME "timer expired";
            ENOSR "out of streams resources";
            ENONET "machine is not on the network";
            ENOPKG "package not installed";
            EADV "advertise error";
            ESRMNT "srmount error";
            ECOMM "communication error on send";
            EDOTDOT "RFS specific error";
            ENOTUNIQ "name not unique on network";
            EBADFD "file descriptor in bad state";
            EREMCHG "remote address changed";
            ELIBACC "cannot access a needed shared library";
            ELIBBAD "accessing a corrupted shared library";
            ELIBSCN ".lib section in a.out corrupted";
            ELIBMAX "attempting to link in too many shared libraries";
            ELIBEXEC "cannot execute a shared library directly";
            ERESTART "interrupted system call should be restarted";
            ESTRPIPE "streams pipe error";
            EUCLEAN "structure needs cleaning";
            ENOTNAM "not a XENIX named type file";
            ENAVAIL "no XENIX semaphores available";
            EISNAM "is a named type file";
            EREMOTEIO "remote I/O error";
            ENOMEDIUM "no medium found";
            EMEDIUMTYPE "wrong medium type";
            ENOKEY "required key not available";
            EKEYEXPIRED "key has expired";
            EKEYREVOKED "key has been revoked";
            EKEYREJECTED "key was rejected by service";
            ERFKILL "operation not possible due to RF-kill";
            EHWPOISON "memory page has hardware error";
        }
        }
    };
}
pub(crate) use status_list;
