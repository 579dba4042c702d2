//! A type of the program's own in a manager: several processes call its methods, and none loses the change of another.
//!
//! Answers:  notebook 9
//! Python:   class OurManager(BaseManager); OurManager.register("Account", Account)
//! Run:      cargo run --example ex14_shared_type
//! Prints:
//!     4 processes put in 100 each: 400
//!     taken out: 150, left 250
//!     not taken out: only 250 are there
//!     a panic of a method: the amount is nothing
//!     still there: 250

use mp::{Manager, ManagerError, Process};

struct Account {
    balance: u64,
}

/// The public methods become those of `AccountProxy`. `&self` ones run side by side, a `&mut self` one alone.
#[mp::shared]
impl Account {
    fn empty() -> Account {
        Account { balance: 0 }
    }

    pub(crate) fn put_in(&mut self, amount: u64) {
        assert!(amount > 0, "the amount is nothing");
        self.balance += amount;
    }

    pub(crate) fn take_out(&mut self, amount: u64) -> Result<u64, String> {
        self.balance =
            self.balance.checked_sub(amount).ok_or_else(|| format!("only {} are there", self.balance))?;
        Ok(self.balance)
    }

    pub(crate) fn balance(&self) -> u64 {
        self.balance
    }
}

fn put_in_one_by_one(account: AccountProxy) {
    (0..100).for_each(|_| account.put_in(1).unwrap());
}

pub(crate) fn main() -> mp::Result<()> {
    let manager = Manager::start()?;
    let account = manager.construct(Account::empty, ())?;
    let start = |_| Process::new(put_in_one_by_one, (account.clone(),)).start();
    let processes = (0..4).map(start).collect::<Result<Vec<_>, _>>()?;
    processes.iter().try_for_each(|process| process.join())?;
    println!("4 processes put in 100 each: {}", account.balance()?);
    println!("taken out: 150, left {}", account.take_out(150)?.unwrap_or_default());
    println!("not taken out: {}", account.take_out(1000)?.expect_err("there is less"));
    if let Err(ManagerError::Panicked { message, .. }) = account.put_in(0) {
        println!("a panic of a method: {message}");
    }
    println!("still there: {}", account.balance()?);
    Ok(())
}
