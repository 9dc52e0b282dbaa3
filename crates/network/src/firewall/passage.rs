//! The way through other tools' chains that drop what is forwarded unless they know it.
//!
//! An `accept` of ours does not overrule another table's drop. On hosts where another engine or `ufw` has set the policy of
//! iptables' `FORWARD` to drop, containers would reach nothing and be reached by nobody, so two rules at its head let our
//! bridge through, as each engine puts them there for its own: our table still decides what may pass. They bear
//! [a mark](mark), are put back when they are lost, and go with the table. Chains that the administrator wrote himself are
//! left alone, and [told of](obstacles).

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, HookNumber, NfTablesMessage, Operator, RuleAttribute, RuleMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::rule::{Direction, Rule};
use super::ruleset::FORWARD;
use super::transaction::Transaction;
use crate::Result;
use crate::netlink::{Socket, errno};

/// Where the `iptables` program of today keeps the chain of that name.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";
/// `NF_DROP`.
const DROP: u32 = 0;
/// `NFTNL_UDATA_RULE_COMMENT`.
const COMMENT: u8 = 0;

/// A chain at the forward hook that drops what none of its rules accepts.
#[derive(Debug)]
struct Closed {
    family: NetfilterProtoFamily,
    table: String,
    name: String,
}

impl Closed {
    fn is_iptables(&self) -> bool {
        self.family == NetfilterProtoFamily::IPv4 && self.table == TABLE && self.name == CHAIN
    }
}

/// Lets the bridge through iptables' chain, where that is closed and does not do so yet.
pub(super) fn open(socket: &mut Socket, bridge: &str) -> Result<()> {
    let Some(chain) = closed(socket)?.into_iter().find(Closed::is_iptables) else { return Ok(()) };
    let ours = marked(socket, bridge)?;
    if ours.len() == DIRECTIONS.len() {
        return Ok(());
    }
    let mut transaction = Transaction::new(TABLE);
    for handle in ours {
        transaction.remove_rule(chain.family, CHAIN, handle);
    }
    for direction in DIRECTIONS {
        let rule = Rule::default().interface(direction, Operator::Equal, bridge).accept();
        transaction.insert_rule(chain.family, CHAIN, rule, mark(bridge));
    }
    transaction.commit(socket)
}

const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];

/// Takes the rules back.
pub(super) fn close(socket: &mut Socket, bridge: &str) -> Result<()> {
    let mut transaction = Transaction::new(TABLE);
    for handle in marked(socket, bridge)? {
        transaction.remove_rule(NetfilterProtoFamily::IPv4, CHAIN, handle);
    }
    transaction.commit(socket)
}

/// What keeps the bridge's packets from passing, in a sentence for each closed chain that does not mention the bridge.
pub(super) fn obstacles(socket: &mut Socket, bridge: &str) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for chain in closed(socket)? {
        let mentioned =
            rules(socket, chain.family, &chain.table, &chain.name)?.iter().any(|rule| mentions(rule, bridge));
        if !mentioned {
            let family = if chain.family == NetfilterProtoFamily::IPv4 { "ip" } else { "inet" };
            told.push(format!(
                "the firewall chain {} of the table {family} {} drops what it does not know: containers reach nothing \
                 beyond this host, and are not reached from there, unless it accepts what comes from and goes to {bridge}",
                chain.name, chain.table
            ));
        }
    }
    Ok(told)
}

/// Whether a change by somebody else may have closed the way.
pub(super) fn is_touched(message: &NfTablesMessage) -> bool {
    match message {
        NfTablesMessage::NewChain(chain) => at_forward(chain).is_some(),
        NfTablesMessage::DeleteRule(rule) => {
            let is = |wanted: &RuleAttribute| rule.attributes.contains(wanted);
            is(&RuleAttribute::Table(TABLE.to_owned())) && is(&RuleAttribute::Chain(CHAIN.to_owned()))
        }
        _ => false,
    }
}

/// How our rules are known: a comment in the form of the `nft` program.
fn mark(bridge: &str) -> Vec<u8> {
    let text = format!("longshore {bridge}\0");
    // A bridge's name has 15 bytes at most.
    [&[COMMENT, text.len() as u8], text.as_bytes()].concat()
}

fn request(family: NetfilterProtoFamily, message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)
}

/// The chains of others that are closed. The kernel's own names for families we do not deal with never come up.
fn closed(socket: &mut Socket) -> Result<Vec<Closed>> {
    let mut found = Vec::new();
    for family in [NetfilterProtoFamily::IPv4, NetfilterProtoFamily::Inet] {
        let all = request(family, NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() }));
        for answer in socket.dump(&all, "list the firewall's chains")? {
            let NetfilterMessageInner::NfTables(NfTablesMessage::NewChain(chain)) = answer.inner else { continue };
            let Some((table, name)) = at_forward(&chain) else { continue };
            if chain.attributes.contains(&ChainAttribute::Policy(DROP)) {
                found.push(Closed { family, table, name });
            }
        }
    }
    Ok(found)
}

/// Table and name of a chain at the forward hook.
fn at_forward(chain: &ChainMessage) -> Option<(String, String)> {
    let (mut table, mut name, mut forward) = (None, None, false);
    for attribute in &chain.attributes {
        match attribute {
            ChainAttribute::Table(text) => table = Some(text.clone()),
            ChainAttribute::Name(text) => name = Some(text.clone()),
            ChainAttribute::Hook(hook) => {
                forward = hook.iter().any(|part| matches!(part, Hook::Number(number) if is_forward(*number)));
            }
            _ => {}
        }
    }
    table.zip(name).filter(|_| forward)
}

fn is_forward(number: HookNumber) -> bool {
    u32::from(number) == FORWARD
}

fn rules(socket: &mut Socket, family: NetfilterProtoFamily, table: &str, chain: &str) -> Result<Vec<RuleMessage>> {
    let attributes = vec![RuleAttribute::Table(table.to_owned()), RuleAttribute::Chain(chain.to_owned())];
    let all = request(family, NfTablesMessage::GetRule(RuleMessage { attributes }));
    let answers = match socket.dump(&all, format!("list the rules of the chain {chain}")) {
        // The chain, or its table, is not there.
        Err(error) if error.errno() == Some(errno::ENOENT) => return Ok(Vec::new()),
        answers => answers?,
    };
    let rule = |answer: NetfilterMessage| match answer.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewRule(rule)) => Some(rule),
        _ => None,
    };
    Ok(answers.into_iter().filter_map(rule).collect())
}

/// Handles of our rules in iptables' chain.
fn marked(socket: &mut Socket, bridge: &str) -> Result<Vec<u64>> {
    let mark = RuleAttribute::UserData(mark(bridge));
    let ours = rules(socket, NetfilterProtoFamily::IPv4, TABLE, CHAIN)?;
    let handle = |rule: RuleMessage| {
        let found = rule.attributes.iter().find_map(|attribute| match attribute {
            RuleAttribute::Handle(handle) => Some(*handle),
            _ => None,
        });
        found.filter(|_| rule.attributes.contains(&mark))
    };
    Ok(ours.into_iter().filter_map(handle).collect())
}

/// Whether the name of the bridge occurs in a rule.
fn mentions(rule: &RuleMessage, bridge: &str) -> bool {
    use netlink_packet_core::Emitable;
    rule.attributes.iter().any(|attribute| {
        let mut bytes = vec![0; attribute.buffer_len()];
        attribute.emit(&mut bytes);
        bytes.windows(bridge.len()).any(|window| window == bridge.as_bytes())
    })
}
