//! Enums that are words in the store, in JSON and on the command line.

/// Text that is none of an enum's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct UnknownWord {
    pub(crate) text: String,
    pub(crate) what: &'static str,
}

/// An enum with a word for each variant, by which it is shown, parsed and stored.
macro_rules! string_enum {
    ($(#[$meta:meta])* $vis:vis $name:ident, $what:literal {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        $vis enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// The word used in the store and in JSON.
            $vis const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::string_enum::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::string_enum::UnknownWord {
                        text: text.to_owned(),
                        what: $what,
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use string_enum;
