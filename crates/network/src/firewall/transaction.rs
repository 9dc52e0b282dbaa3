//! Changes to tables that take effect together or not at all.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, HookNumber, NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute,
    SetElementList, SetElementMessage, SetFlags, SetMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::element::{Element, FIELD_BYTES, Set};
use super::rule::Rule;
use super::ruleset::Chain;
use crate::netlink::{Batch, Socket, errno};
use crate::{Error, Result};

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `NLM_F_APPEND`: a rule goes to the end of its chain.
const APPEND: u16 = 0x800;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;
/// Elements a message: their list is one attribute, which holds 64 KiB.
const ELEMENTS_A_MESSAGE: usize = 1000;
/// Bits that the `nft` program gives each type of a concatenation.
const TYPE_BITS: u32 = 6;

/// A transaction on the tables of one name.
pub(super) struct Transaction {
    table: String,
    batch: Batch,
    count: usize,
}

fn header(family: NetfilterProtoFamily) -> NetfilterHeader {
    NetfilterHeader::new(family, 0, 0)
}

fn control() -> NetfilterHeader {
    NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM)
}

fn concatenation(types: &[u32]) -> u32 {
    types.iter().fold(0, |whole, kind| (whole << TYPE_BITS) | kind)
}

impl Transaction {
    /// Begins.
    pub(super) fn new(table: &str) -> Self {
        let mut batch = Batch::default();
        batch.push(NetfilterMessage::new(control(), ControlMessage::BatchBegin), 0, "change the firewall");
        Self { table: table.to_owned(), batch, count: 1 }
    }

    fn push(&mut self, family: NetfilterProtoFamily, message: NfTablesMessage, flags: u16, asked: String) {
        self.batch.ask(NetfilterMessage::new(header(family), message), flags, asked);
        self.count += 1;
    }

    /// Carries the changes out.
    pub(super) fn commit(mut self, socket: &mut Socket) -> Result<()> {
        if self.count == 1 {
            return Ok(());
        }
        let last = self.count - 1;
        self.batch.push(NetfilterMessage::new(control(), ControlMessage::BatchEnd), 0, "change the firewall");
        socket.transact(&self.batch, last)
    }

    fn table_message(&self) -> TableMessage {
        TableMessage { attributes: vec![TableAttribute::Name(self.table.clone())] }
    }

    /// Removes the table if there is one, whatever is in it.
    pub(super) fn remove_table(&mut self, family: NetfilterProtoFamily) {
        let asked = format!("remove the table {}", self.table);
        // Removing what is not there would be an error; making what is there is none.
        self.push(family, NfTablesMessage::NewTable(self.table_message()), NLM_F_CREATE, asked.clone());
        self.push(family, NfTablesMessage::DeleteTable(self.table_message()), 0, asked);
    }

    /// Puts an empty table in the place of one there may be.
    pub(super) fn replace_table(&mut self, family: NetfilterProtoFamily) {
        self.remove_table(family);
        let asked = format!("create the table {}", self.table);
        self.push(family, NfTablesMessage::NewTable(self.table_message()), NLM_F_CREATE | NLM_F_EXCL, asked);
    }

    /// Adds a set or map; `id` is its own within the transaction.
    pub(super) fn add_set(&mut self, family: NetfilterProtoFamily, set: Set, id: u32) {
        let bytes = |types: &[u32]| (types.len() * FIELD_BYTES) as u32;
        let mut attributes = vec![
            SetAttribute::Table(self.table.clone()),
            SetAttribute::Name(set.name().to_owned()),
            SetAttribute::Id(id),
            SetAttribute::KeyType(concatenation(set.key_types())),
            SetAttribute::KeyLen(bytes(set.key_types())),
        ];
        if let Some(types) = set.data_types() {
            attributes.push(SetAttribute::Flags(SetFlags::Map));
            attributes.push(SetAttribute::DataType(concatenation(types)));
            attributes.push(SetAttribute::DataLen(bytes(types)));
        }
        let asked = format!("create the set {}", set.name());
        self.push(family, NfTablesMessage::NewSet(SetMessage { attributes }), NLM_F_CREATE, asked);
    }

    /// Adds a chain without its rules.
    pub(super) fn add_chain(&mut self, family: NetfilterProtoFamily, chain: &Chain) {
        let attributes = vec![
            ChainAttribute::Table(self.table.clone()),
            ChainAttribute::Name(chain.name.to_owned()),
            ChainAttribute::Hook(vec![
                Hook::Number(HookNumber::Other(chain.hook)),
                Hook::Priority(chain.priority.cast_unsigned()),
            ]),
            ChainAttribute::Policy(ACCEPT),
            ChainAttribute::Type(chain.kind.to_owned()),
        ];
        let asked = format!("create the chain {}", chain.name);
        self.push(family, NfTablesMessage::NewChain(ChainMessage { attributes }), NLM_F_CREATE, asked);
    }

    /// Adds a rule to the end of a chain.
    pub(super) fn add_rule(&mut self, family: NetfilterProtoFamily, chain: &str, rule: Rule) {
        let attributes = vec![
            RuleAttribute::Table(self.table.clone()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(rule.expressions()),
        ];
        let asked = format!("add a rule to the chain {chain}");
        self.push(family, NfTablesMessage::NewRule(RuleMessage { attributes }), NLM_F_CREATE | APPEND, asked);
    }

    /// Puts a rule at the head of a chain, with user data.
    pub(super) fn insert_rule(&mut self, family: NetfilterProtoFamily, chain: &str, rule: Rule, user_data: Vec<u8>) {
        let attributes = vec![
            RuleAttribute::Table(self.table.clone()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(rule.expressions()),
            RuleAttribute::UserData(user_data),
        ];
        let asked = format!("put a rule into the chain {chain}");
        self.push(family, NfTablesMessage::NewRule(RuleMessage { attributes }), NLM_F_CREATE, asked);
    }

    /// Removes one rule.
    pub(super) fn remove_rule(&mut self, family: NetfilterProtoFamily, chain: &str, handle: u64) {
        let attributes = vec![
            RuleAttribute::Table(self.table.clone()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Handle(handle),
        ];
        let asked = format!("remove a rule of the chain {chain}");
        self.push(family, NfTablesMessage::DeleteRule(RuleMessage { attributes }), 0, asked);
    }

    /// Adds elements to their sets.
    pub(super) fn add_elements(&mut self, family: NetfilterProtoFamily, elements: &[&Element]) {
        for (set, message) in self.element_messages(elements) {
            let asked = format!("add elements to the set {}", set.name());
            self.push(family, NfTablesMessage::NewSetElement(message), NLM_F_CREATE, asked);
        }
    }

    /// Removes elements from their sets.
    pub(super) fn remove_elements(&mut self, family: NetfilterProtoFamily, elements: &[&Element]) {
        for (set, message) in self.element_messages(elements) {
            let asked = format!("remove elements from the set {}", set.name());
            self.push(family, NfTablesMessage::DeleteSetElement(message), 0, asked);
        }
    }

    fn element_messages(&self, elements: &[&Element]) -> Vec<(Set, SetElementMessage)> {
        let mut messages = Vec::new();
        for set in Set::ALL {
            let members: Vec<_> = elements.iter().filter(|e| e.set == set).map(|e| e.attribute()).collect();
            for chunk in members.chunks(ELEMENTS_A_MESSAGE) {
                let mut attributes = element_list(&self.table, set);
                attributes.push(SetElementList::Elements(chunk.to_vec()));
                messages.push((set, SetElementMessage { attributes }));
            }
        }
        messages
    }
}

fn element_list(table: &str, set: Set) -> Vec<SetElementList> {
    vec![SetElementList::Table(table.to_owned()), SetElementList::Set(set.name().to_owned())]
}

/// Removes a table where there is one; a kernel that does not know the family has none.
pub(super) fn discard_table(socket: &mut Socket, table: &str, family: NetfilterProtoFamily) -> Result<()> {
    let message = TableMessage { attributes: vec![TableAttribute::Name(table.to_owned())] };
    let message = NetfilterMessage::new(header(family), NfTablesMessage::GetTable(message));
    match socket.get(message, format!("look up the table {table}")) {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(()),
        Err(error) if matches!(error.errno(), Some(errno::EOPNOTSUPP | errno::EINVAL)) => return Ok(()),
        Err(error) => return Err(error),
    }
    let mut transaction = Transaction::new(table);
    transaction.remove_table(family);
    transaction.commit(socket)
}

/// The elements of a set of the IPv4 table as the kernel has them; none where the table or set is missing.
pub(super) fn elements(socket: &mut Socket, table: &str, set: Set) -> Result<Vec<Element>> {
    let message = NfTablesMessage::GetSetElement(SetElementMessage { attributes: element_list(table, set) });
    let message = NetfilterMessage::new(header(NetfilterProtoFamily::IPv4), message);
    let answers = match socket.dump(&message, format!("list the elements of the set {}", set.name())) {
        Err(Error::Netlink { cause, .. }) if cause.raw_os_error() == Some(errno::ENOENT) => return Ok(Vec::new()),
        answers => answers?,
    };
    let mut found = Vec::new();
    for answer in answers {
        if let NetfilterMessageInner::NfTables(NfTablesMessage::NewSetElement(message)) = answer.inner {
            found.extend(Element::read(set, &message.attributes));
        }
    }
    Ok(found)
}
