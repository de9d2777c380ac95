mod mutex;
mod register;
mod token_lock;

pub use mutex::{Mutex, MutexCall};
pub use register::{Access, Answer, Register};
pub use token_lock::{Grants, TokenAnswer, TokenCall, TokenLock};
