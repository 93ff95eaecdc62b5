//! The macro that makes a crate a loadable strategy.

/// Exports a strategy from a `cdylib`.
///
/// The type implements [`Strategy`](crate::Strategy) and [`Default`]. Use the macro once in a crate,
/// at its root. The exported name contains the crate's name, so that any number of strategies can
/// also be linked into one program.
#[macro_export]
macro_rules! export_strategy {
    ($strategy:ty) => {
        #[cfg(not(panic = "unwind"))]
        compile_error!(
            "a strategy must be built with panic = \"unwind\": its panics are caught, and an \
             abort would end the program that loaded it"
        );

        const _: () = {
            extern "C" fn module() -> $crate::__private::RootModuleResult {
                $crate::__private::load(
                    $crate::abi::module_of::<$strategy> as fn() -> $crate::abi::StrategyModuleRef,
                )
            }

            #[unsafe(export_name = concat!("greenroom_strategy_v1_", env!("CARGO_CRATE_NAME")))]
            static HEADER: $crate::__private::LibHeader = $crate::__private::header(module);
        };
    };
}

/// What the expansion of [`export_strategy!`] needs; not part of the interface.
#[doc(hidden)]
pub mod private {
    pub use abi_stable::library::{__call_root_module_loader as load, LibHeader, RootModuleResult};

    use crate::abi::StrategyModuleRef;
    use abi_stable::library::CheckTypeLayout;

    /// The header that names `module` as what makes the root module.
    pub const fn header(module: extern "C" fn() -> RootModuleResult) -> LibHeader {
        // SAFETY: the macro passes a function that erases a `StrategyModuleRef` and nothing else.
        unsafe { LibHeader::from_constructor::<StrategyModuleRef>(module, CheckTypeLayout::Yes) }
    }
}
