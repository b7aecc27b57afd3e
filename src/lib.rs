//! Deskplane: the control plane for customer-chat accounts.
