//! Widgets: chat buttons of an organization, each on a place of the account.

use sqlx::FromRow;

use crate::backend::Session;
use crate::domain::rows::{DesiredWidget, Fields, Key, OwnerTag, Row, RowKind, WidgetFields};
use crate::domain::seats::Places;

use super::audit::{self, Action};
use super::db::{Conn, query};
use super::error::{Step, Stop};
use super::keys::Placed;
use super::organizations::{self, Parent};
use super::queue::{self, Request};
use super::rows::Head;
use super::tx::Tx;
use super::{external, quarantine, values};

/// Opens every statement that reads widgets.
macro_rules! select_widgets {
    ($tail:literal) => {
        concat!(
            "SELECT w.id, w.external_id, w.key, w.owner, w.owner_namespace, w.owner_name, w.quarantined, w.organization, w.account, ",
            "g.key AS organization_key, g.quarantined AS organization_quarantined, w.public_key, w.display_name, w.language, ",
            "w.allowed_origins, w.select_department, w.select_operator, w.color ",
            "FROM widgets w JOIN organizations g ON g.id = w.organization ",
            $tail
        )
    };
}
pub(super) use select_widgets;

/// A widget's row.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Widget {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) organization: i64,
    pub(super) account: i64,
    organization_key: Option<String>,
    organization_quarantined: bool,
    public_key: String,
    display_name: Option<String>,
    language: Option<String>,
    allowed_origins: String,
    select_department: Option<bool>,
    select_operator: Option<bool>,
    color: Option<String>,
}

impl Widget {
    async fn new(tx: &mut Tx, tag: &OwnerTag, parent: &Parent) -> Step<Self> {
        Ok(Self {
            head: Head::new(tx, tag).await?,
            organization: parent.id,
            account: parent.account,
            organization_key: parent.key.clone(),
            organization_quarantined: false,
            public_key: external::random("wk_").map_err(Stop::Failed)?,
            display_name: None,
            language: None,
            allowed_origins: String::new(),
            select_department: None,
            select_operator: None,
            color: None,
        })
    }

    fn set(&mut self, session: &Session, tag: &OwnerTag, desired: &DesiredWidget) {
        let DesiredWidget { display_name, language, allowed_origins, select_department, select_operator, color } = desired;
        self.head.claim(session, tag);
        for (column, value) in [(&mut self.display_name, display_name), (&mut self.language, language), (&mut self.color, color)] {
            if value.is_some() {
                column.clone_from(value);
            }
        }
        self.allowed_origins = serde_json::Value::from(allowed_origins.clone()).to_string();
        self.select_department = select_department.or(self.select_department);
        self.select_operator = select_operator.or(self.select_operator);
    }

    /// Where it is.
    pub(super) fn placed(&self) -> Placed {
        Placed { head: self.head.clone(), account: self.account, organization: Some(self.organization) }
    }

    pub(super) fn row(&self) -> Row {
        let values = DesiredWidget {
            display_name: self.display_name.clone(),
            language: self.language.clone(),
            allowed_origins: serde_json::from_str(&self.allowed_origins).unwrap_or_default(),
            select_department: self.select_department,
            select_operator: self.select_operator,
            color: self.color.clone(),
        };
        Row {
            external_id: self.head.external_id.clone(),
            tag: self.head.tag(RowKind::Widget),
            quarantined: self.head.quarantined,
            fields: Fields::Widget(WidgetFields {
                organization: self.organization_key.clone().map(Key),
                values,
                public_key: self.public_key.clone(),
            }),
        }
    }
}

pub(super) const BY_KEY: &str = select_widgets!("WHERE w.key = $1");

/// The widget of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Widget>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

/// The widget of an id of ours.
pub(super) async fn get(conn: &mut Conn, id: i64) -> Result<Widget, sqlx::Error> {
    query(select_widgets!("WHERE w.id = $1")).bind(id).fetch_one(conn).await
}

/// Makes or changes a widget.
pub(super) async fn put(tx: &mut Tx, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Step<Row> {
    values::tag(tag)?;
    values::widget(desired)?;
    tx.not_gone()?;
    let parent = organizations::parent(tx, organization).await?;
    match find(tx.conn(), &tag.key).await? {
        Some(stored) if stored.organization == parent.id => change(tx, tag, desired, stored).await,
        Some(row) if row.organization_key.is_none() || row.organization_quarantined => {
            quarantine::detach(tx, RowKind::Widget, &row.placed()).await?;
            insert(tx, tag, desired, &parent).await
        }
        Some(_) => quarantine::moved(),
        None => insert(tx, tag, desired, &parent).await,
    }
}

async fn insert(tx: &mut Tx, tag: &OwnerTag, desired: &DesiredWidget, parent: &Parent) -> Step<Row> {
    let request = Request { tag, account: parent.account, organization: Some(parent.id), needs: Places::WIDGET };
    let hearing = queue::hear(tx, &request).await?;
    if let Some(missing) = hearing.missing {
        return Err(queue::wait(tx, &request, hearing, missing).await);
    }
    queue::used(tx, &hearing, &tag.key).await?;
    let mut widget = Widget::new(tx, tag, parent).await?;
    widget.set(&tx.session, tag, desired);
    let sql = "INSERT INTO widgets (external_id, key, owner, owner_namespace, owner_name, organization, account, public_key, display_name,
        language, allowed_origins, select_department, select_operator, color)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id";
    let Widget { head, public_key, display_name, language, allowed_origins, color, .. } = widget.clone();
    let statement = query(sql).bind(head.external_id).bind(head.key).bind(head.owner).bind(head.owner_namespace);
    let statement = statement.bind(head.owner_name).bind(parent.id).bind(parent.account).bind(public_key).bind(display_name);
    let statement = statement.bind(language).bind(allowed_origins).bind(widget.select_department);
    let statement = statement.bind(widget.select_operator).bind(color);
    widget.head.id = statement.scalar(tx.conn()).await?;
    audit::record(tx, Action::Create, RowKind::Widget, &widget.placed()).await?;
    Ok(widget.row())
}

async fn change(tx: &mut Tx, tag: &OwnerTag, desired: &DesiredWidget, stored: Widget) -> Step<Row> {
    let mut widget = stored.clone();
    widget.set(&tx.session, tag, desired);
    if widget != stored {
        let sql = "UPDATE widgets SET key = $2, owner = $3, owner_namespace = $4, owner_name = $5, quarantined = $6, display_name = $7,
            language = $8, allowed_origins = $9, select_department = $10, select_operator = $11, color = $12 WHERE id = $1";
        let Widget { head, display_name, language, allowed_origins, color, .. } = widget.clone();
        let statement = query(sql).bind(head.id).bind(head.key).bind(head.owner).bind(head.owner_namespace);
        let statement = statement.bind(head.owner_name).bind(head.quarantined).bind(display_name).bind(language);
        let statement = statement.bind(allowed_origins).bind(widget.select_department);
        statement.bind(widget.select_operator).bind(color).execute(tx.conn()).await?;
        audit::record(tx, Action::Update, RowKind::Widget, &widget.placed()).await?;
    }
    Ok(widget.row())
}
