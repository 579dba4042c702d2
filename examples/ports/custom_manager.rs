//! Objects of types of our own in a manager, used by several processes. Beside `custom_manager.py`.
//!
//! No register of names: `#[mp::shared]` makes the proxy, and the compiler checks its calls.

use mp::{Manager, Process};

/// What a till holds. Each method is one step for all others.
struct Till {
    cents: u64,
    sales: Vec<(String, u64)>,
}

#[mp::shared]
impl Till {
    fn with_change(cents: u64) -> Till {
        Till { cents, sales: Vec::new() }
    }

    pub(crate) fn sell(&mut self, what: &str, cents: u64) {
        self.cents += cents;
        self.sales.push((what.to_owned(), cents));
    }

    /// Leaves the till as it is if it holds too little.
    pub(crate) fn pay_out(&mut self, cents: u64) -> Result<u64, String> {
        self.cents = self.cents.checked_sub(cents).ok_or_else(|| format!("only {} cents are there", self.cents))?;
        Ok(self.cents)
    }

    pub(crate) fn sales(&self) -> Vec<(String, u64)> {
        self.sales.clone()
    }
}

fn clerk(till: TillProxy, number: u64) -> mp::Result<()> {
    for hour in 0..3 {
        till.sell(&format!("hour {hour} of clerk {number}"), 100 * number + hour)?;
    }
    Ok(())
}

pub(crate) fn main() -> mp::Result<()> {
    let manager = Manager::start()?;
    let till = manager.construct(Till::with_change, (50,))?;
    let start = |number| Process::new(clerk, (till.clone(), number)).start();
    let clerks = (1..=3).map(start).collect::<Result<Vec<_>, _>>()?;
    for clerk in &clerks {
        clerk.join()??;
    }
    let mut sales = till.sales()?;
    sales.sort();
    sales.iter().for_each(|(what, cents)| println!("{what}: {cents}"));
    match till.pay_out(10_000)? {
        Ok(left) => println!("paid out, {left} cents left"),
        Err(reason) => println!("not paid out: {reason}"),
    }
    println!("paid out, {} cents left", till.pay_out(1000)?.unwrap_or_default());
    Ok(())
}
